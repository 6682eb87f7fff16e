"""Rendering with Blender's Cycles. This is the only folder that imports ``bpy``."""
