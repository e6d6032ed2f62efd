// SPDX-License-Identifier: Apache-2.0

#if !CommandLine
#error("mosq needs the trait CommandLine of swift-mosquitto: name it where you depend on the package")
#endif
