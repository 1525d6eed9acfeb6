#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""A NATS client and an authority of its own, to try what the bus lets through.

bus.py authority DIR NAME=SUBJECT,SUBJECT...   operator, account and a user each (.creds files);
                                               prints the server's configuration. NAME= : all
bus.py send URL CA CREDS KIND SITE KEY         messages on the subject of a site
KINDs: see send(); `flood` sends as fast as it can for 3 s, `delete` is of the bucket.
"""
import base64
import hashlib
import json
import os
import socket
import ssl
import sys
import time

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

SUBJECT = '$KV.suanlu.'


# --- nkeys and JWTs (github.com/nats-io/nkeys, jwt v2) -----------------------------------------

def base32(data):
    crc = 0
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x1021) & 0xffff if crc & 0x8000 else crc << 1
    return base64.b32encode(data + crc.to_bytes(2, 'little')).decode().rstrip('=')


def base64url(data):
    return base64.urlsafe_b64encode(data).decode().rstrip('=')


class Nkey:
    PREFIX = {'operator': 14 << 3, 'account': 0, 'user': 20 << 3}

    def __init__(self, kind, seed=None):
        self.prefix, self.seed = self.PREFIX[kind], seed or os.urandom(32)
        self.key = Ed25519PrivateKey.from_private_bytes(self.seed)
        public = self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.public = base32(bytes([self.prefix]) + public)

    def seed_text(self):
        return base32(bytes([18 << 3 | self.prefix >> 5, (self.prefix & 31) << 3]) + self.seed)

    @classmethod
    def from_seed_text(cls, text):
        return cls('user', base64.b32decode(text + '=' * (-len(text) % 8))[2:34])

    def jwt(self, subject, name, nats):
        claims = {'iat': int(time.time()), 'iss': self.public, 'name': name,
                  'sub': subject.public, 'nats': {**nats, 'version': 2}}
        claims['jti'] = base64.b32encode(
            hashlib.sha256(json.dumps(claims).encode()).digest()).decode().rstrip('=')
        text = '.'.join(base64url(json.dumps(part).encode()) for part in (
            {'typ': 'JWT', 'alg': 'ed25519-nkey'}, claims))
        return text + '.' + base64url(self.key.sign(text.encode()))


def authority(directory, users):
    operator, account, system = Nkey('operator'), Nkey('account'), Nkey('account')
    any_amount = dict.fromkeys(('subs', 'data', 'payload', 'imports', 'exports', 'conn', 'leaf',
                                'mem_storage', 'disk_storage', 'streams', 'consumer'), -1)
    plain = {'limits': {**any_amount, 'wildcards': True}, 'type': 'account'}
    no_store = {**any_amount, 'mem_storage': 0, 'disk_storage': 0, 'wildcards': True}
    accounts = {account.public: operator.jwt(account, 'suanlu', plain),
                system.public: operator.jwt(system, 'SYS', {**plain, 'limits': no_store})}
    for user in users:
        name, subjects = user.split('=')
        key = Nkey('user')
        nats = {'subs': -1, 'data': -1, 'payload': -1, 'type': 'user',
                'pub': {'allow': subjects.split(',')} if subjects else {}, 'sub': {}}
        with open(f'{directory}/{name}.creds', 'w') as file:
            file.write(f'-----BEGIN NATS USER JWT-----\n{account.jwt(key, name, nats)}\n'
                       f'------END NATS USER JWT------\n\n-----BEGIN USER NKEY SEED-----\n'
                       f'{key.seed_text()}\n------END USER NKEY SEED------\n')
    print(f"operator: {operator.jwt(operator, 'lab', {'type': 'operator'})}")
    print(f'system_account: {system.public}\nresolver: MEMORY\nresolver_preload: {{')
    for public, jwt in accounts.items():
        print(f'  {public}: {jwt}')
    print('}')


# --- the client protocol -----------------------------------------------------------------------

class Nats:
    def __init__(self, url, ca, credentials):
        host, port = url.split('://')[1].rsplit(':', 1)
        self.socket = socket.create_connection((host.strip('[]'), int(port)), timeout=5)
        info = json.loads(self.line_of(self.socket)[5:])
        if ca:
            context = ssl.create_default_context(cafile=ca)
            self.socket = context.wrap_socket(self.socket, server_hostname='bus.lab')
        options = {'verbose': False, 'pedantic': False, 'lang': 'python', 'version': '1'}
        if credentials:
            lines = open(credentials).read().split('\n')
            key = Nkey.from_seed_text(next(line for line in lines if line.startswith('SU')))
            options['jwt'] = lines[1]
            options['sig'] = base64url(key.key.sign(info['nonce'].encode()))
        self.socket.sendall(b'CONNECT ' + json.dumps(options).encode() + b'\r\nPING\r\n')
        self.expect(b'PONG')

    @staticmethod
    def line_of(sock):
        line = b''
        while not line.endswith(b'\r\n'):
            byte = sock.recv(1)
            if not byte:
                raise SystemExit('bus.py: the server hung up')
            line += byte
        return line

    def expect(self, what):
        while True:
            line = self.line_of(self.socket)
            if line.startswith(b'-ERR'):
                raise SystemExit(f'bus.py: {line.decode().strip()}')
            if line.startswith(what):
                return line
            if line.startswith(b'PING'):
                self.socket.sendall(b'PONG\r\n')

    @staticmethod
    def message(subject, data):
        return b'PUB %s %d\r\n%s\r\n' % (subject.encode(), len(data), data)

    def publish(self, subject, data):
        self.socket.sendall(self.message(subject, data) + b'PING\r\n')
        self.expect(b'PONG')

    def next_of(self, subject):
        self.socket.sendall(b'SUB %s 1\r\n' % subject.encode())
        size = int(self.expect(b'MSG').split()[-1])
        data = b''
        while len(data) < size + 2:
            data += self.socket.recv(size + 2 - len(data))
        self.socket.sendall(b'UNSUB 1\r\n')
        return data[:size]


def send(url, ca, credentials, kind, site, key):
    nats = Nats(url, ca, credentials)
    subject = f'{SUBJECT}site.{site}.0'
    header = b'SL\x01\x00' + base64.b64decode(key)[:8] + bytes(16)
    if kind == 'flood':
        batch = nats.message(subject, header + os.urandom(1200)) * 100
        until, sent = time.time() + 3, 0
        while time.time() < until:
            nats.socket.sendall(batch)
            sent += 100
        print(sent)
    elif kind == 'delete':  # the bucket
        nats.socket.sendall(b'PUB $JS.API.STREAM.DELETE.KV_suanlu _INBOX.x 0\r\n\r\nPING\r\n')
        nats.expect(b'PONG')
    elif kind in ('replay', 'broken', 'foreign', 'elsewhere'):
        data = nats.next_of(subject)
        name = {'foreign': 'b' if site == 'a' else 'a', 'elsewhere': 'nowhere'}.get(kind, site)
        if kind == 'broken':
            at = data.index(b'\x08', 28) + 1  # of its sequence, so that it is another report
            data = data[:at] + bytes([data[at] ^ 1]) + data[at + 1:]
        nats.publish(f'{SUBJECT}site.{name}.0', data)
    else:
        nats.publish(*{
            'subject': (f'{SUBJECT}nobody', b'x'),
            'escape': (f'{SUBJECT}site.\x1b[31m.0', b'x'),
            'empty': (subject, b''),
            'noise': (subject, os.urandom(300)),
            'huge': (subject, os.urandom(900000)),
            'unknown': (subject, b'SL\x01\x00' + os.urandom(400)),
            'undecodable': (subject, header + b'\xff' * 300),
        }[kind])


if sys.argv[1] == 'authority':
    authority(sys.argv[2], sys.argv[3:])
else:
    send(*sys.argv[2:])
