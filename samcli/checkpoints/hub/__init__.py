"""The Hub: its client, its cache on this disk, and the transfer of one file."""
