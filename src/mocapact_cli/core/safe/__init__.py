"""Opening what anybody may have written: archives and pickles, without running anything that they hold."""
