"""Teachers: loaded or trained, and their labels, kept so that nothing is labelled twice."""
