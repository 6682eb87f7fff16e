"""The 3DIdent scene as plain numbers, without Blender."""
