"""Roles of the people who use the hub in the Desk."""

MANAGER = "Integration Hub Manager"
USER = "Integration Hub User"
ROLES = (MANAGER, USER)
