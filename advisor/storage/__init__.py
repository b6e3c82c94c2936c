"""Files that outlive a process: private, written whole or not at all, and read without trust in what they hold."""
