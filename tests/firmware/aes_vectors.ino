// Encrypts with the sensor's AES: for 32 bytes on the serial port, a key and a block, says the
// block encrypted, as hex digits.

#include "aes.h"

void setup() { Serial.begin(57600); }

void loop() {
  uint8_t key_and_block[2 * AES_BLOCK_SIZE];
  if (Serial.readBytes(key_and_block, sizeof key_and_block) < sizeof key_and_block) return;
  aes_encrypt(key_and_block, key_and_block + AES_BLOCK_SIZE);
  for (uint8_t i = AES_BLOCK_SIZE; i < sizeof key_and_block; i++) {
    if (key_and_block[i] < 0x10) Serial.print('0');
    Serial.print(key_and_block[i], HEX);
  }
  Serial.println();
}
