"""The leaderboard, which scores encoders on images that did not exist when they were trained.

    runs -> submission (a folder of data) -> check -> verify on a fresh split -> entry -> page

A submission contains data and no code. Nothing in it is unpickled or imported. Its encoders are
ONNX graphs, which run in a separate process with limits and without files or network.
"""
