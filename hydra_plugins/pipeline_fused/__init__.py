"""The launcher that trains a sweep's runs together."""
