"""Sound that goes on: heard as it comes, told at once, and kept in mind."""
