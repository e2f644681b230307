"""The access check of a device, as its server asks it."""

from softaxe.api.access import Networks, is_allowed
from softaxe.device.device import Device
from softaxe.serve.request import Request


def is_client_allowed(
    request: Request, device: Device, networks: Networks = ()
) -> bool:
    """Tell whether a request passes the device's access check.

    The answer is kept with the request, as a client that polls sends the same again.

    Args:
        request: Which.
        device: Whose.
        networks: Who is let in besides; the same ones for all requests of a device.
    """
    settings, is_ap_enabled = device.settings, device.radio.is_ap_enabled
    kept = request.access
    if kept is not None and kept[0] is settings and kept[1] is is_ap_enabled:
        return kept[2]
    is_ours = is_allowed(
        request.client,
        request.header(b"origin"),
        request.header(b"host"),
        profile=device.profile,
        hostname=settings.hostname,
        is_ap_enabled=is_ap_enabled,
        trusts_names=device.firmware.rows.trusts_local_names,
        networks=networks,
    )
    request.access = settings, is_ap_enabled, is_ours
    return is_ours
