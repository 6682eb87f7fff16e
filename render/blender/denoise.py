"""OpenImageDenoise for plain arrays, with the library that Blender's module contains.

Cycles can only denoise a whole image. This module denoises images composed of layers.

References:
    Intel Open Image Denoise, https://www.openimagedenoise.org (its C interface)
"""

from __future__ import annotations

import ctypes
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Image32 = NDArray[np.float32]

_CPU, _FLOAT3, _OUT_OF_MEMORY = 1, 3, 4
_GPUS = {
    "oneapi": 2,
    "optix": 3,
    "cuda": 3,
    "hip": 4,
    "metal": 5,
}  # kinds of the library
_NUMBERED = {
    "optix": "oidnNewCUDADevice",
    "cuda": "oidnNewCUDADevice",
    "hip": "oidnNewHIPDevice",
}
_QUALITY = {"FAST": 4, "BALANCED": 5, "HIGH": 6}
_PATTERNS = ("libOpenImageDenoise.so.*", "libOpenImageDenoise.*dylib", "OpenImageDenoise.dll")


class Denoiser:
    """Denoiser of linear images.

    Arguments:
        threads: processor threads to use.
        quality: preset of the library.
        device: device of Cycles. If the library cannot use it, the CPU denoises.
        gpu: number of the GPU to use; None for the library's choice.

    Raises:
        ImportError: Blender's module does not contain the library.
    """

    def __init__(
        self,
        threads: int,
        quality: Literal["FAST", "BALANCED", "HIGH"],
        device: str = "cpu",
        gpu: int | None = None,
    ) -> None:
        self._library = _load()
        self._quality = _QUALITY[quality]
        self._staged = device in _GPUS and self._open_gpu(device, gpu)
        if not self._staged:
            self._device = self._call("oidnNewDevice", _CPU)
            self._call("oidnSetDeviceInt", self._device, b"numThreads", threads)
            self._call("oidnSetDeviceBool", self._device, b"setAffinity", False)
            self._call("oidnCommitDevice", self._device)

    def _open_gpu(self, device: str, gpu: int | None) -> bool:
        """Open a GPU of the library; True if it works."""
        if gpu is not None and device in _NUMBERED:
            number, stream = ctypes.c_int(gpu), ctypes.c_void_p()  # the default stream
            where = ctypes.byref(number), ctypes.byref(stream), ctypes.c_int(1)
            self._device = self._call(_NUMBERED[device], *where)
        else:
            self._device = self._call("oidnNewDevice", _GPUS[device])
        self._call("oidnCommitDevice", self._device)
        return self._error()[0] == 0

    def __call__(
        self, color: Image32, albedo: Image32 | None = None, normal: Image32 | None = None
    ) -> Image32:
        """The denoised image, linear, shape (H, W, 3).

        Arguments:
            color: noisy image, linear, shape (H, W, 3).
            albedo: noise-free albedo, shape (H, W, 3), or None.
            normal: surface normals, shape (H, W, 3), or None.

        Raises:
            MemoryError: the library ran out of memory.
            RuntimeError: it failed for another reason.
        """
        found = {b"color": color, b"albedo": albedo, b"normal": normal}
        images = {
            name: np.ascontiguousarray(image, dtype=np.float32)
            for name, image in found.items()
            if image is not None
        }
        images[b"output"] = np.empty_like(images[b"color"])
        work = self._call("oidnNewFilter", self._device, b"RT")
        height, width, _ = color.shape
        sizes = [ctypes.c_size_t(size) for size in (width, height, 0, 0, 0)]
        buffers = {}
        for name, image in images.items():
            if self._staged:
                place = buffers[name] = self._buffer(image)
                self._call("oidnSetFilterImage", work, name, place, _FLOAT3, *sizes)
            else:
                place = ctypes.c_void_p(image.ctypes.data)
                self._call("oidnSetSharedFilterImage", work, name, place, _FLOAT3, *sizes)
        self._call("oidnSetFilterBool", work, b"hdr", True)
        self._call("oidnSetFilterBool", work, b"cleanAux", albedo is not None)
        self._call("oidnSetFilterInt", work, b"quality", self._quality)
        self._call("oidnCommitFilter", work)
        self._call("oidnExecuteFilter", work)
        if self._staged:
            self._call("oidnReadBuffer", buffers[b"output"], *_span(images[b"output"]))
        self._call("oidnReleaseFilter", work)
        for buffer in buffers.values():
            self._call("oidnReleaseBuffer", buffer)
        code, said = self._error()
        if code:
            kind = MemoryError if code == _OUT_OF_MEMORY else RuntimeError
            raise kind(f"OpenImageDenoise: {said}")
        return images[b"output"]

    def _buffer(self, image: Image32) -> Any:
        """A copy of an image in the memory of the device."""
        buffer = self._call("oidnNewBuffer", self._device, ctypes.c_size_t(image.nbytes))
        self._call("oidnWriteBuffer", buffer, *_span(image))
        return buffer

    def _call(self, name: str, *arguments: Any) -> Any:
        """Call a function of the library that returns a handle, which is a pointer, or nothing."""
        function = getattr(self._library, name)
        function.restype = ctypes.c_void_p
        result = function(*arguments)
        return None if result is None else ctypes.c_void_p(result)

    def _error(self) -> tuple[int, str]:
        """Code and text of the library's last error. Without an error the code is 0."""
        message = ctypes.c_char_p()
        code = int(self._library.oidnGetDeviceError(self._device, ctypes.byref(message)))
        return code, (message.value or b"").decode(errors="replace")


def _span(image: Image32) -> tuple[Any, Any, Any]:
    """Offset in a buffer, bytes and address of an image."""
    return ctypes.c_size_t(0), ctypes.c_size_t(image.nbytes), ctypes.c_void_p(image.ctypes.data)


def _load() -> ctypes.CDLL:
    spec = find_spec("bpy")
    places = [Path(place) for place in (spec.submodule_search_locations or [])] if spec else []
    for pattern in _PATTERNS:
        for place in places:
            for path in sorted(place.rglob(pattern)):
                return ctypes.CDLL(str(path))
    raise ImportError("bpy: expected OpenImageDenoise beside it, found none")
