"""`sam train pretrain`: an encoder learns from sound alone."""
