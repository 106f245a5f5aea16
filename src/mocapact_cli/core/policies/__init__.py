"""Policies: networks that map observations of many environments to actions."""
