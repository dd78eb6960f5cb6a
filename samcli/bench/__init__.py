"""Speed: of decoding, of the core, of a model, of a folder, of search."""
