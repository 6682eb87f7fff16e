"""Drawing with Blender's Cycles. The only folder that imports ``bpy``."""
