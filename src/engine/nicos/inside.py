"""What a NICOS daemon evaluates for orders that NICOS has no command for. It runs beside the script's thread, and leaves
nothing behind. What it raises is told as NICOS's refusal.
"""

from nicos import session

controller = session.daemon_device._controller
RUNNING, PAUSED, STOPPING = 0, 1, 2
# NICOS's levels of a stop: where a script can be paused, and at its next line whatever it does.
WHERE_IT_PAUSES, AT_ONCE = 3, 5


def stop(request, hard, devices):
    """Ends the script of this request, and with `devices` stops every device. False: it is between two statements, where
    nothing can be done.

    NICOS's own stop and its emergency stop empty NICOS's queue as well, the latter once more when the script has ended.
    """
    if controller.reqid_work != request:
        return True
    if devices and not stop_devices_after(request):
        return False
    status = controller.status
    how = ('stop', AT_ONCE if hard else WHERE_IT_PAUSES, 'beamq')
    # A script may catch what stops it, and go on.
    if status == RUNNING or hard and status == STOPPING:
        session.countloop_request = ('pause', 'Stopped by beamq')
        controller.set_break(how)
    elif status == PAUSED:
        controller.set_continue(how)
    return status >= RUNNING


def stop_devices_after(request):
    """Has the script's thread do what it does at an emergency stop when this script has ended, before it takes anything
    else from the queue: under the queue's lock it takes nothing.
    """
    from nicos.services.daemon.script import EmergencyStopRequest

    queue = controller.queue
    with queue:
        if controller.reqid_work != request or controller.status < RUNNING:
            return False
        queue.scripts.insert(0, EmergencyStopRequest(controller.current_script.user))
        queue._event.set()
    return True


def answer(question, value, check):
    """Gives the answer to a question, as the validator of the question makes it; with `check` false, as it is."""
    asked = session._user_prompt
    if check and asked and asked[1] == question and len(asked) > 2 and callable(asked[2]):
        made = asked[2](value)
        # NICOS's own lists and dictionaries cannot be changed, and numbers are not rounded behind anybody's back.
        plain = not isinstance(made, (list, dict))
        if plain and (isinstance(value, str) or isinstance(made, str) or made == value):
            value = made
    session.setUserinput(question, value)
