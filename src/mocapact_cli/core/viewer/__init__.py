"""Looking at motions in the browser: clips, recorded episodes, and policies that act live."""
