"""What is told of dev clips and long scenes, and whether it is true."""
