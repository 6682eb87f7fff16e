"""The renderer, which turns latents into 3DIdent images with Blender's Cycles.

Only :mod:`render.blender` imports ``bpy``, and only inside worker processes.
"""
