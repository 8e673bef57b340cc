#!/bin/sh
# Makes the certificates of these tests, with openssl 3, valid for a hundred years. They protect nothing.
set -e
cd "$(dirname "$0")"
key() { openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1-key.pem"; }
ca() {
    key "$1"
    openssl req -x509 -new -key "$1-key.pem" -subj "/CN=$1" -days 36500 -out "$1.pem"
}
leaf() { # name, issuer, subject, extensions
    key "$1"
    openssl req -new -utf8 -key "$1-key.pem" -subj "$3" -out "$1.csr"
    printf 'basicConstraints=CA:FALSE\n%s\n' "$4" > "$1.ext"
    openssl x509 -req -in "$1.csr" -CA "$2.pem" -CAkey "$2-key.pem" -days 36500 -extfile "$1.ext" -out "$1.pem"
    rm "$1.csr" "$1.ext"
}
ca ca
ca other
leaf server ca "/CN=localhost" "subjectAltName=DNS:localhost,IP:127.0.0.1"
leaf client ca "/C=DE/O=Test Org, Inc./OU=a\\+b=c #1 /CN=zoé/emailAddress=z@example.org" "extendedKeyUsage=clientAuth"
leaf stranger other "/CN=stranger" "extendedKeyUsage=clientAuth"
rm ca-key.pem other-key.pem
