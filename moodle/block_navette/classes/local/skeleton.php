<?php
// This file is part of Navette, a plugin for Moodle - https://moodle.org/
//
// Navette is free software: you can redistribute it and/or modify
// it under the terms of the GNU General Public License as published by
// the Free Software Foundation, either version 3 of the License, or
// (at your option) any later version.
//
// Navette is distributed in the hope that it will be useful,
// but WITHOUT ANY WARRANTY; without even the implied warranty of
// MERCHANTABILITY or FITNESS FOR A PARTICULAR PURPOSE.  See the
// GNU General Public License for more details.
//
// You should have received a copy of the GNU General Public License
// along with Moodle.  If not, see <https://www.gnu.org/licenses/>.

namespace block_navette\local;

/**
 * The XML files of an unpacked backup, for reading and writing again. They come from somebody else: a document with a
 * DOCTYPE is refused before any of its entities is looked at.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * @package    block_navette
 * @copyright  2026 The Navette authors
 * @license    https://www.gnu.org/copyleft/gpl.html GNU GPL v3 or later
 */
class skeleton {
    /** What a backup writes for NULL. */
    const NOTHING = '$@NULL@$';

    /** @var string the unpacked backup */
    public $tree;

    /** @var bool the tree is used again, so that each file is kept as it was */
    public $kept;

    /**
     * Constructor.
     *
     * @param string $tree
     * @param bool $kept
     */
    public function __construct(string $tree, bool $kept) {
        $this->tree = $tree;
        $this->kept = $kept;
    }

    /**
     * Each attempt begins with the files as they came. The list of contents is kept before any other file and put back
     * after all of them: where it was not kept, nothing was changed, and the tree need not be searched.
     *
     * @param string $tree
     */
    public static function put_back(string $tree): void {
        $list = "$tree/moodle_backup.xml.whole";
        if (!is_file($list)) {
            return;
        }
        foreach (array_merge(array_diff(self::files($tree, '.whole'), [$list]), [$list]) as $path) {
            if (!rename($path, substr($path, 0, -strlen('.whole')))) {
                throw new failure(failure::RETRY, 'io', "$path cannot be put back");
            }
        }
    }

    /**
     * Files of a tree whose names end so, less the contents.
     *
     * @param string $tree
     * @param string $end
     * @return string[] paths
     */
    public static function files(string $tree, string $end): array {
        $paths = [];
        foreach (array_merge([$tree], array_map(fn($name) => "$tree/$name", ['activities', 'sections', 'course'])) as $i => $top) {
            if (!is_dir($top)) {
                continue;
            }
            $all = $i ? new \RecursiveIteratorIterator(
                new \RecursiveDirectoryIterator($top, \FilesystemIterator::SKIP_DOTS)
            ) : new \FilesystemIterator($top);
            foreach ($all as $file) {
                if (substr($file->getFilename(), -strlen($end)) === $end && $file->isFile()) {
                    $paths[] = $file->getPathname();
                }
            }
        }
        sort($paths);
        return $paths;
    }

    /**
     * A file as a document.
     *
     * @param string $name
     * @return \DOMDocument|null null: there is none
     */
    public function open(string $name): ?\DOMDocument {
        if ($this->root($name) === null) {
            return null;
        }
        return $this->quietly($name, function () use ($name) {
            $xml = new \DOMDocument();
            // No entities, no network. Descriptions may be long.
            return $xml->load("$this->tree/$name", LIBXML_NONET | LIBXML_PARSEHUGE) && !$xml->doctype ? $xml : null;
        });
    }

    /**
     * The attributes of a file's first element. Everything that reads a file looks at these first, since a DOCTYPE stands
     * before them.
     *
     * @param string $name
     * @return string[]|null null: there is no such file
     */
    public function root(string $name): ?array {
        if (!is_file("$this->tree/$name")) {
            return null;
        }
        return $this->quietly($name, function () use ($name) {
            $reader = new \XMLReader();
            $reader->open("$this->tree/$name", null, LIBXML_NONET);
            $attributes = null;
            while ($attributes === null && $reader->read() && $reader->nodeType !== \XMLReader::DOC_TYPE) {
                if ($reader->nodeType === \XMLReader::ELEMENT) {
                    $attributes = [];
                    while ($reader->moveToNextAttribute()) {
                        $attributes[$reader->name] = $reader->value;
                    }
                }
            }
            $reader->close();
            return $attributes;
        });
    }

    /**
     * Is there an element with such a text? Files with everybody's grades may be large, and are rarely to be changed.
     *
     * @param string $name
     * @param string $element
     * @param callable $is gets the text
     * @return bool
     */
    public function has(string $name, string $element, callable $is): bool {
        if ($this->root($name) === null) {
            return false;
        }
        return $this->quietly($name, function () use ($name, $element, $is) {
            $reader = new \XMLReader();
            $reader->open("$this->tree/$name", null, LIBXML_NONET | LIBXML_PARSEHUGE);
            $found = false;
            while (!$found && $reader->read()) {
                $found = $reader->nodeType === \XMLReader::ELEMENT && $reader->name === $element && $is($reader->readString());
            }
            $reader->close();
            return !$found && libxml_get_last_error() ? null : $found;
        });
    }

    /**
     * Read without PHP's warnings.
     *
     * @param string $name
     * @param callable $read answers null where it is no proper XML
     * @return mixed
     */
    private function quietly(string $name, callable $read) {
        $before = libxml_use_internal_errors(true);
        libxml_clear_errors();
        try {
            $result = $read();
        } finally {
            libxml_clear_errors();
            libxml_use_internal_errors($before);
        }
        if ($result === null) {
            throw failure::reject('archive_corrupt', "$name is no proper XML");
        }
        return $result;
    }

    /**
     * Write a file again.
     *
     * @param \DOMDocument $xml
     * @param string $name
     */
    public function write(\DOMDocument $xml, string $name): void {
        $this->keep($name);
        self::replace("$this->tree/$name", $xml->saveXML());
    }

    /**
     * Another text into a file, whole or not at all.
     *
     * @param string $path
     * @param string $text
     */
    public static function replace(string $path, string $text): void {
        if (file_put_contents("$path.part", $text) !== strlen($text) || !rename("$path.part", $path)) {
            throw new failure(failure::RETRY, 'io', "$path cannot be written again");
        }
    }

    /**
     * Write a file again, line by line.
     *
     * @param string $name
     * @param callable $change gets a line
     */
    public function change_lines(string $name, callable $change): void {
        $path = "$this->tree/$name";
        $this->keep($name);
        $in = fopen($path, 'rb');
        $out = fopen("$path.part", 'wb');
        $whole = $in && $out;
        while ($whole && ($line = fgets($in)) !== false) {
            $line = $change($line);
            $whole = fwrite($out, $line) === strlen($line);
        }
        if (!$whole || !feof($in) || !fclose($out) || !fclose($in) || !rename("$path.part", $path)) {
            throw new failure(failure::RETRY, 'io', "$path cannot be written again");
        }
    }

    /**
     * Before a file is changed.
     *
     * @param string $name
     */
    public function keep(string $name): void {
        $path = "$this->tree/$name";
        if (
            $this->kept && !is_file("$path.whole")
                && (!copy($path, "$path.whole.part") || !rename("$path.whole.part", "$path.whole"))
        ) {
            throw new failure(failure::RETRY, 'io', "$path cannot be copied");
        }
    }

    /**
     * Nodes of a document or below a node, in an array that may be changed meanwhile.
     *
     * @param \DOMNode $from
     * @param string $path
     * @return \DOMElement[]
     */
    public static function find(\DOMNode $from, string $path): array {
        $xpath = new \DOMXPath($from instanceof \DOMDocument ? $from : $from->ownerDocument);
        return iterator_to_array($xpath->query($path, $from), false);
    }

    /**
     * The text of a child.
     *
     * @param \DOMElement $node
     * @param string $name
     * @return string '' where there is none
     */
    public static function field(\DOMElement $node, string $name): string {
        foreach ($node->childNodes as $child) {
            if ($child->nodeName === $name) {
                return $child->textContent;
            }
        }
        return '';
    }

    /**
     * Change the text of a child, where there is one.
     *
     * @param \DOMElement $node
     * @param string $name
     * @param string $text
     */
    public static function set(\DOMElement $node, string $name, string $text): void {
        foreach ($node->childNodes as $child) {
            if ($child->nodeName === $name) {
                $child->textContent = $text;
            }
        }
    }
}
