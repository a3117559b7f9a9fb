"""What nobody outside knows for certain of the platform's wire, each behind one name.  Data only.

The platform login has no published interface, and this code never met the real service.  The values here were chosen
where nothing was to be found: a correction is made here, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

CLIENT_TYPE_HEADER: Final = "X-Futu-Client-Type"
"""Which header tells the two platforms apart?  That there is one is known, its name is not."""
CLIENT_VERSION_HEADER: Final = "X-Futu-Client-Version"
"""Its name was seen; a version that is too old is refused with code 45."""
CLIENT_VERSION: Final = "1002"
"""The newest version that is known to have been taken."""
CLIENT_TYPES: Final[Mapping[str, str]] = MappingProxyType({"futunn": "futunn", "moomoo": "moomoo"})
"""How does the client type spell the two platforms?"""
SALT_PATH: Final = "/authority/salt"
"""Where does one ask for the salt, freshd's only harmless look?"""
SALT_ACCOUNT: Final = "account"
"""What is its parameter for the account called?"""
TICKET: Final = "tgtgt"
DEVICE_SIGNATURE: Final = "device_sig"
"""What are ticket and device signature called in the login's body?  Concluded from neighbouring operations."""
VERIFY_SIGNATURE: Final = "device_verify_sig"
VERIFY_CODE: Final = "code"
"""What are signature and SMS code called where the code is checked?  That there are nine fields is known."""
BROKER_SIGNATURES: Final = ("broker_client_sig", "client_sig")
BROKER_KEYS: Final = ("broker_client_key", "client_key")
"""What are signature and key called in the answer of a broker?  The first name that is there is taken."""
DEVICE_ALIAS: Final = "freshd"
DEVICE_TYPE: Final = "Linux"
OS_VERSION: Final = "Linux"
"""What may a device call itself?  Each must be there; any text is said to do."""
