"""Questions of the script to the clients, and their answers."""

from _thread import allocate_lock, get_ident

from .channel import MAIN_THREAD, cut, plain, safe_text

# No wait for an answer trusts a single wake-up for longer than this, in seconds.
LONGEST_SLICE = 2.0
# More than any server waits, in seconds.
FOR_EVER = 1e9


class Question:
    """A question on its way to the clients and back."""

    def __init__(self, number):
        self.number = number
        self.settled = allocate_lock()
        self.settled.acquire()
        self.answered = False
        self.timed_out = False
        self.value = None


class Questions:
    """Asks one question at a time, from whichever thread."""

    def __init__(self, steering):
        self._steering = steering
        self._open = None
        self._asked = 0
        self._asking = allocate_lock()

    def take_answer(self, message):
        """The server's answer; in whichever thread took the message."""
        question = self._open
        if question is not None and question.number == message["question"] and not question.answered:
            question.timed_out = message["timed_out"]
            question.value = message["value"]
            question.answered = True
            question.settled.release()

    def ask(self, text, choices=None, default=..., timeout=None):
        """Ask the clients. Returns the answer; raises TimeoutError when nobody answers in time and
        there is no default."""
        self._steering.point()
        with self._asking:
            self._asked += 1
            question = self._open = Question(self._asked)
            fields = {"number": question.number, "text": cut(text, 10_000)}
            if choices is not None:
                fields["choices"] = plain(list(choices))
            if default is not ...:
                fields["default"] = plain(default)
                fields["has_default"] = True
            if timeout is not None:
                fields["timeout_s"] = min(max(0.0, float(timeout)), FOR_EVER)
            try:
                skipped = self._await_answer(question, fields)
            finally:
                self._open = None
        if skipped:
            return default
        if question.timed_out:
            raise TimeoutError("nobody answered the question %r in time" % cut(text, 200))
        if default is not ... and question.value == fields["default"]:
            return default
        return question.value

    def ask_line(self, prompt=""):
        """What `input` is replaced by."""
        answer = self.ask(safe_text(prompt) or "The script waits for a line of input")
        return answer if isinstance(answer, str) else safe_text(answer)

    def _await_answer(self, question, fields):
        """Ask and wait for the answer. Returns whether the question was skipped."""
        steering = self._steering
        if not steering.steers_here():
            steering.channel.send("asked", **fields)
            while not question.answered:
                question.settled.acquire(True, LONGEST_SLICE)
                if get_ident() == MAIN_THREAD:
                    steering.check_abort()
            return False
        wait, outer = steering.begin_wait("question: " + cut(fields["text"], 200), "has_default" in fields)
        try:
            steering.channel.send("asked", **fields)
            while not question.answered:
                steering.check_abort()
                steering.pause_in_wait()
                if wait.skip:
                    steering.tell_skipped(wait)
                    return True
                if not question.answered:
                    steering.rest(LONGEST_SLICE)
            return False
        finally:
            steering.end_wait(wait, outer)
