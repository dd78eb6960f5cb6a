"""What is said, not what is heard."""
