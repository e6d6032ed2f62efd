// SPDX-License-Identifier: Apache-2.0

import Logging

/// A logger for clients whose log the test ignores.
let quiet: Logger = {
    var logger = Logger(label: "test")
    logger.logLevel = .critical
    return logger
}()
