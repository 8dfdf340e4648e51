"""Tests of the repository itself: layers, messages, documents."""
