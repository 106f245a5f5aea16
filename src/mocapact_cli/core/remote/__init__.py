"""Files from elsewhere: Hugging Face, Azure Blob, mirrors, local folders and archives; verified and resumable."""
