"""What can be said of a scene: captions, questions and answers by grammar."""
