"""Operators' commands that are loaded when they are asked for (entry points `invoiceos.commands`)."""
