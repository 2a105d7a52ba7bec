"""Operators' commands, loaded when they are asked for (entry points `invoiceos.commands`)."""
