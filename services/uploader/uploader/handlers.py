"""One command in, all references at the site or a failure of the whole job out."""

import logging
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import fetch
import jimeng
import media
from blobs import MissingError, StorageFullError
from contracts.bus import Bus
from contracts.delivery import Again
from contracts.requests import RequestRefusedError
from contracts.tasks import Uploaded, UploadFailed, UploadReferences
from contracts.workers import Credential, GetCredential
from runtime.room import RETRY_SECONDS, NoRoomError
from uploader import domain
from uploader.references import NotAsAcceptedError, References

Site = Callable[[Credential], AbstractAsyncContextManager[jimeng.Jimeng]]
NOT_FOUND = 404

log = logging.getLogger("uploader")


def register(
    bus: Bus,
    references: References,
    site: Site,
    *,
    concurrency: int,
    patience: float,
    deadline_seconds: float,
) -> None:
    """Take the uploads. An upload costs nothing, so a redelivery uploads again.

    A URL that does not answer is tried again for `patience` seconds.
    """
    troubled: dict[str, float] = {}

    @bus.consume(
        UploadReferences,
        concurrency=concurrency,
        restartable=True,
        deadline_seconds=deadline_seconds,
    )
    async def upload(command: UploadReferences) -> None:
        try:
            event = await _upload(bus, references, site, command)
        except (NoRoomError, StorageFullError) as error:
            log.warning("references wait for room: %s", error)
            raise Again(RETRY_SECONDS, uncounted=True) from None
        except fetch.TroubleError as error:
            since = troubled.setdefault(command.key, time.monotonic())
            if time.monotonic() - since < patience:
                raise
            event = domain.unfetched(command, error)
        log.info("references: %s", type(event).__name__)
        await bus.emit(event)
        troubled.pop(command.key, None)


async def _upload(
    bus: Bus, references: References, site: Site, command: UploadReferences
) -> Uploaded | UploadFailed:
    """Bring every file to the site; one that cannot be brought fails the job.

    Raises what trying again may help against.
    """
    try:
        credential = await bus.ask(GetCredential(session=command.session))
        found = await references.look(command.files)
        if wrong := domain.unfit(command, found):
            return domain.invalid(command, wrong)
        async with site(credential) as client:
            return await _send(references, client, command, found)
    except RequestRefusedError as no:
        if no.refusal.status != NOT_FOUND:
            raise
        return domain.no_session(command)
    except fetch.TroubleError:
        raise
    except fetch.FetchError as error:
        return domain.unfetched(command, error)
    except (MissingError, NotAsAcceptedError) as error:
        return domain.invalid(command, str(error))
    except jimeng.JimengError as error:
        if event := domain.refused(command, error):
            return event
        raise


async def _send(
    references: References,
    client: jimeng.Jimeng,
    command: UploadReferences,
    found: list[media.Probed],
) -> Uploaded:
    """Upload one after the other: images, then films and sound; told in their order."""
    materials: dict[int, jimeng.Uploaded] = {}
    for place in domain.order(found):
        file, is_ = command.files[place], found[place]
        materials[place] = await client.upload(
            is_.kind,
            references.path(file),
            name=file.name,
            duration_ms=is_.duration_ms or 0,
        )
    told = (materials[place].model_dump() for place in range(len(command.files)))
    return Uploaded(task=command.task, attempt=command.attempt, materials=tuple(told))
