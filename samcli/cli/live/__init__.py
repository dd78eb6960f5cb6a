"""`sam live` and `sam watch`: commands that go on until they are stopped."""
