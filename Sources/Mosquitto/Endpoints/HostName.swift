// SPDX-License-Identifier: Apache-2.0

extension String {
    /// The name without the trailing dot of the root. `getaddrinfo` needs the dot ("broker.mqtt.svc.cluster.local." is
    /// looked up in no search domain); SNI and certificates do not have it (RFC 6066, section 3; RFC 9525, section
    /// 6.3).
    var withoutRootDot: String { hasSuffix(".") && utf8.count > 1 ? String(dropLast()) : self }
}
