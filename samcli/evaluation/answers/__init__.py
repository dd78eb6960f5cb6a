"""Captions and answers on development clips and long scenes, and whether they are true."""
