extension String {
    /// The name without the root's dot, which `getaddrinfo` needs ("broker.mqtt.svc.cluster.local." is looked up in no search domain) and
    /// neither SNI nor a certificate has (RFC 6066, section 3; RFC 9525, section 6.3).
    var withoutRootDot: String { hasSuffix(".") && utf8.count > 1 ? String(dropLast()) : self }
}
