"""Language models of recurrent blocks, and how they read and speak."""
