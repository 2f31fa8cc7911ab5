"""What every stage stands on: errors, configuration, artifacts, fingerprints, registries. No torch here."""
