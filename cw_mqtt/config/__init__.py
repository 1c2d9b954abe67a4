"""Settings: `config.yaml` becomes typed, frozen values, or mistakes with their places."""
