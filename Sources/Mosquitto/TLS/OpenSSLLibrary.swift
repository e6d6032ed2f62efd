import CMosquitto

enum OpenSSLLibrary {
    /// Prepares OpenSSL once in a process, before anything else uses it.
    static let initialize: Void = {
        // By default OpenSSL frees its tables in a handler of exit(3). The loop's thread goes on until the process is
        // gone and would find them freed: a process that ends while it connects would crash. Who has used OpenSSL
        // before has decided it already.
        _ = OPENSSL_init_crypto(UInt64(OPENSSL_INIT_NO_ATEXIT), nil)
    }()
}
