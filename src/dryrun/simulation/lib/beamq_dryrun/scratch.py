"""Where files go that a script writes: into a scratch folder, under the path that they would have.

The script sees its own writes and everybody's files; nobody sees the script's writes. A file that it
changes is copied first. The working directory is scratch as well, so relative paths need none of this.
"""

import builtins
import io
import os
import shutil
import stat

# No file is worth copying to find out what a script would make of it, in bytes.
LARGEST_COPY = 64 << 20
# Devices that swallow what is written.
SINKS = ("/dev/null", "/dev/zero", "/dev/full", "/dev/tty", "/dev/stdout", "/dev/stderr")


class Builtin:
    """A function that stays itself as a member of a class, as those in C do: libraries keep them there."""

    def __init__(self, function, real, name):
        self._function = function
        self.__name__ = self.__qualname__ = name
        self.__doc__ = getattr(real, "__doc__", None)
        self.__module__ = getattr(real, "__module__", None)

    def __call__(self, *arguments, **keywords):
        return self._function(*arguments, **keywords)


class Scratch:
    """The files of a simulation."""

    CHANGING_FLAGS = os.O_CREAT | os.O_TRUNC | os.O_APPEND

    def __init__(self, folder):
        self._root = os.path.realpath(folder)
        self._inside = self._root + os.sep
        self.work = os.path.join(self._root, "work")
        self._shadow = os.path.join(self._root, "files")
        self._removed = set()
        self._real = {name: getattr(os, name) for name in dir(os) if callable(getattr(os, name))}
        self._open = io.open

    def make_folders(self):
        """Make what the script finds there."""
        for name in (self.work, self._shadow, os.path.join(self._root, "tmp")):
            os.makedirs(name, exist_ok=True)

    # Paths.

    def has(self, path):
        """Whether a path lies in the scratch folder, or is a sink."""
        try:
            name = os.fsdecode(path)
        except TypeError:
            return False
        if name in SINKS:
            return True
        name = os.path.abspath(name)
        # A link out of the folder leads out of it, whoever made it.
        parent = self._realpath(os.path.dirname(name))
        whole = os.path.join(parent, os.path.basename(name))
        return (whole + os.sep).startswith(self._inside) and (self._realpath(whole) + os.sep).startswith(self._inside)

    @staticmethod
    def _realpath(name):
        try:
            return os.path.realpath(name)
        except (OSError, ValueError):
            return name

    def shown(self, path):
        """A path in a message."""
        try:
            name = os.fsdecode(path)
        except TypeError:
            return "a file"
        name = name[len(self._shadow):] if name.startswith(self._shadow + os.sep) else name
        return ascii(name)[1:-1][:200]

    def _place(self, path):
        """Where the script's own version of a file is; None for what is no path or needs no version."""
        if isinstance(path, int) or path is None:
            return None
        name = os.fsdecode(path)
        if name in SINKS or "\0" in name:
            return None
        name = os.path.abspath(name)
        if (name + os.sep).startswith(self._inside):
            return None
        return self._shadow + name

    def reading(self, path):
        """The path that is really read."""
        place = self._place(path)
        if place is None:
            return path
        if self._real_exists(place):
            return place
        if self._is_removed(place):
            return place
        return path

    def _is_removed(self, place):
        while len(place) > len(self._shadow):
            if place in self._removed:
                return True
            place = os.path.dirname(place)
        return False

    def _real_exists(self, name):
        try:
            self._real["lstat"](name)
            return True
        except OSError:
            return False

    def writing(self, path, copy=True):
        """The path that is really written: the script's own version, made of the file if there is one.
        A folder that does not exist for the script is an error, as it would be."""
        place = self._place(path)
        if place is None or self._real_exists(place):
            return path if place is None else place
        original = place[len(self._shadow):]
        self._folder_of(place)
        gone = self._is_removed(place)
        self._removed.discard(place)
        if gone:
            return place
        try:
            kind = self._real["stat"](original)
        except OSError:
            return place
        # The real system would refuse this one; so does this.
        if not self._real["access"](original, os.W_OK):
            raise PermissionError(13, "Permission denied", original)
        if stat.S_ISDIR(kind.st_mode):
            self._make_folders(place)
        elif stat.S_ISREG(kind.st_mode) and copy and kind.st_size <= LARGEST_COPY:
            with self._open(original, "rb") as source, self._open(place, "wb") as target:
                shutil.copyfileobj(source, target)
        return place

    def _folder_of(self, place):
        """Make the folder of a file, if the script has it."""
        folder = os.path.dirname(place)
        original = folder[len(self._shadow):] or os.sep
        if self._real_exists(folder):
            return
        if self._is_removed(folder) or not os.path.isdir(original):
            raise FileNotFoundError(2, "No such file or directory", original)
        if not self._real["access"](original, os.W_OK):
            raise PermissionError(13, "Permission denied", original)
        self._make_folders(folder)

    def _make_folders(self, folder):
        parts, name = [], folder
        while not self._real_exists(name):
            parts.append(name)
            name = os.path.dirname(name)
        for name in reversed(parts):
            self._real["mkdir"](name)

    # What scripts call.

    def install(self):
        """Replace the functions with which scripts open and change files."""
        real_open, scratch = self._open, self

        def opened(file, mode="r", *arguments, **keywords):
            writes = isinstance(mode, str) and any(letter in mode for letter in "wax+")
            if isinstance(file, int):
                return real_open(file, mode, *arguments, **keywords)
            if writes:
                file = scratch.writing(file, copy="w" not in mode)
            else:
                file = scratch.reading(file)
            return real_open(file, mode, *arguments, **keywords)

        builtins.open = io.open = Builtin(opened, real_open, "open")
        for name in ("stat", "lstat", "access", "readlink", "statvfs", "getxattr", "listxattr", "chdir"):
            self._replace_reading(name)
        for name in ("truncate", "chmod", "chown", "lchown", "utime", "setxattr", "removexattr", "chflags", "lchmod"):
            self._replace_touching(name)
        os.open = self._os_open
        os.remove = os.unlink = self._os_remove
        os.rmdir = self._os_rmdir
        os.mkdir = self._os_mkdir
        os.rename = os.replace = self._os_rename
        os.symlink, os.link = self._os_symlink, self._os_link
        os.listdir, os.scandir = self._os_listdir, self._os_scandir
        # Its way with descriptors of folders goes around the names.
        shutil._use_fd_functions = False
        shutil.rmtree.avoids_symlink_attacks = False
        # Copying within the kernel is no gain here.
        for name in ("_USE_CP_SENDFILE", "_HAS_FCOPYFILE", "_USE_CP_COPY_FILE_RANGE"):
            if hasattr(shutil, name):
                setattr(shutil, name, False)

    def _replace_reading(self, name):
        real = self._real.get(name)
        if real is None:
            return

        def function(path, *arguments, **keywords):
            if keywords.get("dir_fd") is None:
                path = self.reading(path)
            return real(path, *arguments, **keywords)

        replacement = Builtin(function, real, name)
        setattr(os, name, replacement)
        self._keep_support(real, replacement)

    def _replace_touching(self, name):
        real = self._real.get(name)
        if real is None:
            return

        def function(path, *arguments, **keywords):
            if isinstance(path, int) or keywords.get("dir_fd") is not None:
                return real(path, *arguments, **keywords)
            if name == "truncate":
                return real(self.writing(path), *arguments, **keywords)
            # Owners, modes and times of scratch files are nobody's concern; that the file is there is.
            self._real["stat"](self.reading(path))
            return None

        replacement = Builtin(function, real, name)
        setattr(os, name, replacement)
        self._keep_support(real, replacement)

    @staticmethod
    def _keep_support(real, function):
        for name in ("supports_dir_fd", "supports_effective_ids", "supports_fd", "supports_follow_symlinks"):
            functions = getattr(os, name, None)
            if functions is not None and real in functions:
                functions.add(function)

    def _os_open(self, path, flags, mode=0o777, *, dir_fd=None):
        if dir_fd is None:
            if flags & (os.O_WRONLY | os.O_RDWR | self.CHANGING_FLAGS):
                path = self.writing(path)
            else:
                path = self.reading(path)
        return self._real["open"](path, flags, mode, dir_fd=dir_fd)

    def _own(self, path):
        """The script's own version of something that is there; raises when it is not."""
        place = self._place(path)
        if place is not None:
            self._real["lstat"](self.reading(path))
        return place

    def _os_remove(self, path, *, dir_fd=None):
        place = self._own(path) if dir_fd is None else None
        if place is None:
            return self._real["remove"](path, dir_fd=dir_fd)
        if stat.S_ISDIR(self._real["lstat"](self.reading(path)).st_mode):
            raise IsADirectoryError(21, "Is a directory", os.fsdecode(path))
        if self._real_exists(place):
            self._real["remove"](place)
        self._removed.add(place)
        return None

    def _os_rmdir(self, path, *, dir_fd=None):
        place = self._own(path) if dir_fd is None else None
        if place is None:
            return self._real["rmdir"](path, dir_fd=dir_fd)
        if self._os_listdir(path):
            raise OSError(39, "Directory not empty", os.fsdecode(path))
        if self._real_exists(place):
            shutil.rmtree(place)
        self._removed.add(place)
        return None

    def _os_mkdir(self, path, mode=0o777, *, dir_fd=None):
        place = self._place(path) if dir_fd is None else None
        if place is None:
            return self._real["mkdir"](path, mode, dir_fd=dir_fd)
        if self._real_exists(self.reading(path)):
            raise FileExistsError(17, "File exists", os.fsdecode(path))
        self._folder_of(place)
        self._real["mkdir"](place)
        return None

    def _os_rename(self, source, target, *, src_dir_fd=None, dst_dir_fd=None):
        if src_dir_fd is not None or dst_dir_fd is not None:
            return self._real["rename"](source, target, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)
        from_place, to_place = self._own(source), self._place(target)
        really_from = source if from_place is None else self.writing(source)
        really_to = target if to_place is None else self.writing(target, copy=False)
        self._real["replace"](really_from, really_to)
        if from_place is not None:
            self._removed.add(from_place)
        return None

    def _os_symlink(self, source, target, target_is_directory=False, *, dir_fd=None):
        place = self.writing(target, copy=False) if dir_fd is None else target
        return self._real["symlink"](source, place, target_is_directory, dir_fd=dir_fd)

    def _os_link(self, source, target, **keywords):
        if keywords.get("src_dir_fd") is not None or keywords.get("dst_dir_fd") is not None:
            return self._real["link"](source, target, **keywords)
        # A second name of somebody's file would let the script change it: the copy does not.
        return self._real["link"](self.writing(source), self.writing(target, copy=False))

    def _os_listdir(self, path="."):
        if isinstance(path, int):
            return self._real["listdir"](path)
        place = self._place(path)
        if place is None:
            return self._real["listdir"](path)
        names = {}
        if not self._is_removed(place):
            try:
                names = dict.fromkeys(self._real["listdir"](path))
            except OSError:
                if not self._real_exists(place):
                    raise
        if self._real_exists(place):
            found = self._real["listdir"](place)
            names.update(dict.fromkeys(map(os.fsencode, found) if isinstance(path, bytes) else found))
        return [name for name in names if os.path.join(place, os.fsdecode(name)) not in self._removed]

    def _os_scandir(self, path="."):
        place = None if isinstance(path, int) else self._place(path)
        if place is None or not (self._real_exists(place) or self._removed):
            return self._real["scandir"](path)
        return Entries(self, os.fspath(path))


class Entries:
    """A folder's entries, the script's own among them."""

    def __init__(self, scratch, folder):
        self._entries = iter([Entry(scratch, folder, name) for name in scratch._os_listdir(folder)])

    def __iter__(self):
        return self

    def __next__(self):
        return next(self._entries)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Nothing is open."""


class Entry:
    """An entry of a folder, as `os.scandir` has them."""

    def __init__(self, scratch, folder, name):
        self.name = name
        self.path = os.path.join(folder, name)

    def _mode(self, follow_symlinks):
        try:
            return os.stat(self.path).st_mode if follow_symlinks else os.lstat(self.path).st_mode
        except OSError:
            return 0

    def is_dir(self, *, follow_symlinks=True):
        """Whether it is a folder."""
        return stat.S_ISDIR(self._mode(follow_symlinks))

    def is_file(self, *, follow_symlinks=True):
        """Whether it is a file."""
        return stat.S_ISREG(self._mode(follow_symlinks))

    def is_symlink(self):
        """Whether it is a link."""
        return stat.S_ISLNK(self._mode(False))

    def is_junction(self):
        """There are none on this system."""
        return False

    def inode(self):
        """Its number."""
        return os.lstat(self.path).st_ino

    def stat(self, *, follow_symlinks=True):
        """What the system knows of it."""
        return os.stat(self.path) if follow_symlinks else os.lstat(self.path)

    def __fspath__(self):
        return self.path
