"""Comparing settings side by side: one prompt, two to six panes, every answer under the settings that made it."""
