"""One command in, all references at the site or a failure of the whole job out."""

import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import jimeng
import media
from blobs import MissingError, Store
from contracts.bus import Bus
from contracts.requests import Credential, GetCredential, RequestRefusedError
from contracts.tasks import FileRef, Uploaded, UploadFailed, UploadReferences
from uploader import domain

Site = Callable[[Credential], AbstractAsyncContextManager[jimeng.Jimeng]]
NOT_FOUND = 404

log = logging.getLogger("uploader")


class NotAsAcceptedError(Exception):
    """A stored reference is not what the command says."""


def register(bus: Bus, store: Store, site: Site, *, concurrency: int) -> None:
    """Take the uploads. An upload costs nothing, so a redelivery uploads again."""

    @bus.consume(UploadReferences, concurrency=concurrency)
    async def upload(command: UploadReferences) -> None:
        event = await _upload(bus, store, site, command)
        log.info("references: %s", type(event).__name__)
        await bus.emit(event)


async def _upload(
    bus: Bus, store: Store, site: Site, command: UploadReferences
) -> Uploaded | UploadFailed:
    """Bring every file to the site; one that cannot be brought fails the job.

    Raises what trying again may help against.
    """
    try:
        credential = await bus.ask(GetCredential(session=command.session))
        found = [await _probed(store, file) for file in command.files]
        async with site(credential) as client:
            return await _send(store, client, command, found)
    except RequestRefusedError as no:
        if no.refusal.status != NOT_FOUND:
            raise
        return domain.no_session(command)
    except (MissingError, NotAsAcceptedError, media.NotMediaError) as error:
        return domain.invalid(command, str(error))
    except jimeng.JimengError as error:
        if event := domain.refused(command, error):
            return event
        raise


async def _probed(store: Store, file: FileRef) -> media.Probed:
    """Look whether a file still is what was accepted, before anything is sent."""
    size = await store.size(file.key)
    try:
        found = await media.probe(store.path(file.key))
    except media.NotMediaError as error:
        raise NotAsAcceptedError(f"{file.name}: {error}") from None
    if wrong := domain.mismatch(file, size, found):
        raise NotAsAcceptedError(wrong)
    return found


async def _send(
    store: Store,
    client: jimeng.Jimeng,
    command: UploadReferences,
    found: list[media.Probed],
) -> Uploaded:
    """Upload one after the other: images, then films and sound; told in their order."""
    materials: dict[int, jimeng.Uploaded] = {}
    for place in domain.order(command.files):
        file = command.files[place]
        materials[place] = await client.upload(
            file.kind,
            store.path(file.key),
            name=file.name,
            duration_ms=found[place].duration_ms or 0,
        )
    told = (materials[place].model_dump() for place in range(len(command.files)))
    return Uploaded(task=command.task, attempt=command.attempt, materials=tuple(told))
