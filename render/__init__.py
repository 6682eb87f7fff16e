"""The renderer: turns latents into 3DIdent images with Blender's Cycles.

Only :mod:`render.blender.stage` imports ``bpy``, and only inside worker processes.
"""
