"""The catalogue on disk: words, vectors, documents, filters, and a journal of changes."""
