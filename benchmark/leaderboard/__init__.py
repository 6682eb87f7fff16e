"""The leaderboard: encoders scored again, on images that did not exist when they were trained.

    runs -> submission (a folder of data) -> check -> verify on a fresh split -> entry -> page

A submission is data, never code: nothing in it is unpickled or imported, and its encoders are
ONNX graphs that run in a process of their own, with limits and without files or network.
"""
