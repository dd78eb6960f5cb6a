"""sam-nano, from the corpus to the folder that ships."""
