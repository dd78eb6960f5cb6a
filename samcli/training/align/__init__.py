"""`sam train align`: a published encoder and language model become one."""
