// SPDX-License-Identifier: Apache-2.0

#if !Tokens
#error("MosquittoTokens needs the trait Tokens of swift-mosquitto: name it where you depend on the package")
#endif
