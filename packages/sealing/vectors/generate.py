"""Computes pairwise-keys.json, wrap.json, seal.json and passphrase.json anew from the inputs that stand in them.

It uses Python's cryptography and hashlib and shares no code with the package: what it writes is what the package has to
agree with. To add a vector, write its inputs (the members listed in the functions below) and run this. Run it in this
directory; afterwards `git diff` shows what has changed.
"""

import hashlib
import hmac
import json
import struct
import unicodedata

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id


def sha256(data):
    return hashlib.sha256(data).digest()


def hkdf(secret, info):
    """RFC 5869 with SHA-256, without salt, 32 bytes: one block."""
    extracted = hmac.digest(bytes(32), secret, "sha256")
    return hmac.digest(extracted, info + b"\x01", "sha256")


def hchacha20(key, nonce):
    """draft-irtf-cfrg-xchacha, 2.2."""
    state = list(struct.unpack("<16I", b"expand 32-byte k" + key + nonce))

    def quarter(a, b, c, d):
        for x, y, z, turn in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            state[x] = (state[x] + state[y]) & 0xFFFFFFFF
            mixed = state[z] ^ state[x]
            state[z] = (mixed << turn | mixed >> (32 - turn)) & 0xFFFFFFFF

    for _ in range(10):
        for column in range(4):
            quarter(column, column + 4, column + 8, column + 12)
        for column in range(4):
            quarter(column, (column + 1) % 4 + 4, (column + 2) % 4 + 8, (column + 3) % 4 + 12)
    return struct.pack("<8I", *state[:4], *state[12:])


def encrypt(key, nonce, data, associated):
    """XChaCha20-Poly1305."""
    return ChaCha20Poly1305(hchacha20(key, nonce[:16])).encrypt(bytes(4) + nonce[16:], data, associated)


def canonical(document):
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def read(name):
    with open(f"{name}.json", encoding="utf-8") as file:
        return json.load(file)


def write(name, content, ascii=False):
    with open(f"{name}.json", "w", encoding="utf-8") as file:
        json.dump(content, file, indent=2, ensure_ascii=ascii)
        file.write("\n")


def agree(sender, recipient):
    """The members as they stand in pairwise-keys.json."""
    own = X25519PrivateKey.from_private_bytes(bytes.fromhex(sender["box_seed"]))
    secret = own.exchange(X25519PublicKey.from_public_bytes(bytes.fromhex(recipient["box_key"])))
    info = b"claudemesh/seal/v1" + bytes.fromhex(sender["box_key"]) + bytes.fromhex(recipient["box_key"])
    return {"shared_secret": secret.hex(), "info": info.hex(), "key": hkdf(secret, info).hex()}


def pairwise_keys(file):
    """Inputs: the names of the members, and `from` and `to` of the pairs."""
    for name, member in file["members"].items():
        seed = sha256(f"{name}: box".encode())
        box_key = X25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
        member.update(box_seed=seed.hex(), box_key=box_key.hex(), key_id=sha256(box_key)[:16].hex())
    for pair in file["pairs"]:
        pair.update(agree(file["members"][pair["from"]], file["members"][pair["to"]]))
    return file


def wrap_for(members, sender, recipient, *, nonce, binding, content_key):
    key = bytes.fromhex(agree(members[sender], members[recipient])["key"])
    return {
        "key_id": members[recipient]["key_id"],
        "nonce": nonce.hex(),
        "wrapped_key": encrypt(key, nonce, content_key, binding).hex(),
    }


def wrap(file, members):
    """Inputs: sender, recipient, content key, binding, and the nonce of the wrap."""
    file["wrap"] = wrap_for(
        members,
        file["sender"],
        file["recipient"],
        nonce=bytes.fromhex(file["wrap"]["nonce"]),
        binding=bytes.fromhex(file["binding"]),
        content_key=bytes.fromhex(file["content_key"]),
    )
    return file


def seal(file, members):
    """Inputs: sender, recipients, header, plaintext, random."""
    for message in file["messages"]:
        content_key, nonce, *nonces = (bytes.fromhex(drawn) for drawn in message["random"])
        header = canonical(message["header"]).encode()
        ciphertext = encrypt(content_key, nonce, bytes.fromhex(message["plaintext"]), header)
        binding = sha256(header + ciphertext)
        wraps = [
            {
                "recipient": recipient,
                **wrap_for(
                    members, message["sender"], recipient, nonce=each, binding=binding, content_key=content_key
                ),
            }
            for recipient, each in zip(message["recipients"], nonces, strict=True)
        ]
        whole = b"\x01" + struct.pack(">I", len(header)) + header + nonce + struct.pack(">H", len(wraps))
        for one in wraps:
            whole += bytes.fromhex(one["key_id"] + one["nonce"] + one["wrapped_key"])
        whole += ciphertext
        digest = sha256(whole)
        closing = hkdf(content_key, b"claudemesh/seal/v1/whole" + digest)
        message.update(
            header_text=header.decode(),
            ciphertext=ciphertext.hex(),
            binding=binding.hex(),
            wraps=wraps,
            digest=digest.hex(),
            seal=closing.hex(),
            sealed=(whole + closing).hex(),
        )
    return file


def passphrase(file):
    """Inputs: passphrase, params, random, plaintext."""
    for one in file["files"]:
        params, (salt, nonce) = one["params"], one["random"]
        header = canonical({"v": 1, "kdf": "argon2id", **params, "salt": salt, "nonce": nonce}).encode()
        preamble = b"\x01" + struct.pack(">I", len(header)) + header
        key = Argon2id(
            salt=bytes.fromhex(salt),
            length=32,
            iterations=params["passes"],
            lanes=params["lanes"],
            memory_cost=params["memory_kib"],
        ).derive(unicodedata.normalize("NFC", one["passphrase"]).encode())
        ciphertext = encrypt(key, bytes.fromhex(nonce), bytes.fromhex(one["plaintext"]), preamble)
        one.update(key=key.hex(), sealed=(preamble + ciphertext).hex())
    return file


keys = pairwise_keys(read("pairwise-keys"))
write("pairwise-keys", keys)
write("wrap", wrap(read("wrap"), keys["members"]))
write("seal", seal(read("seal"), keys["members"]))
# Whether an umlaut is one character or two is to be seen.
write("passphrase", passphrase(read("passphrase")), ascii=True)
